"""GenICam nodes and the pointers to them, as the vendor's PySpin has them, for its stand-in."""
# ruff: noqa: N802  names are the vendor's


class SpinnakerException(Exception):  # noqa: N818  the vendor's name
    def __init__(self, message, errorcode):
        super().__init__(f"Spinnaker: {message} [{errorcode}]")
        self.errorcode = errorcode


class Node:
    """A node: its value may be a function, and so may its bounds and whether it can be written."""

    def __init__(
        self,
        owner,
        name,
        kind,
        value,
        *,
        low=0,
        high=2**31 - 1,
        inc=1,
        step=None,
        entries=(),
        by=None,
        writable=True,
    ):
        self.owner, self.name, self.kind, self._value = owner, name, kind, value
        self._low, self._high, self.inc, self.step, self.entries = low, high, inc, step, entries
        self.by, self._writable, self._of = by, writable, {}

    def GetPrincipalInterfaceType(self):
        return self.kind

    @property
    def writable(self):
        return self._writable() if callable(self._writable) else self._writable

    @property
    def value(self):
        if self.by is not None:
            return self._of.get(self.owner.value(self.by), self._value)
        return self._value() if callable(self._value) else self._value

    def bounds(self):
        return tuple(one() if callable(one) else one for one in (self._low, self._high))

    def set(self, value):
        self.owner.device.check()
        if not self.writable:
            raise SpinnakerException(f"GenICam::AccessException= Node {self.name} is not writable.", -2006)
        if self.kind in ("integer", "real"):
            low, high = self.bounds()
            if not low <= value <= high or (self.kind == "integer" and (value - low) % self.inc):
                raise SpinnakerException(
                    f"GenICam::OutOfRangeException= Value {value} must lie in {low} to {high} by {self.inc}.",
                    -2002,
                )
            if self.step:
                value = max(low, value // self.step * self.step)
        if self.by is not None:
            self._of[self.owner.value(self.by)] = value
        else:
            self._value = value


class NodeMap:
    """A map of nodes; a test asks `value`, the driver `GetNode`."""

    def __init__(self, device):
        self.device, self._nodes = device, {}

    def GetNode(self, name):
        return self._nodes.get(name)

    def has(self, name):
        return name in self._nodes

    def value(self, name):
        return self._nodes[name].value

    def value_of(self, name, selected):
        """Value of a node that a selector chooses."""
        return self._nodes[name]._of.get(selected, self._nodes[name]._value)

    def _add(self, kind, name, value, **more):
        self._nodes[name] = Node(self, name, kind, value, **more)

    def integer(self, name, value, **more):
        self._add("integer", name, value, **more)

    def real(self, name, value, **more):
        self._add("real", name, value, **more)

    def switch(self, name, value, **more):
        self._add("boolean", name, value, **more)

    def enum(self, name, entries, **more):
        self._add("enumeration", name, entries[0], entries=entries, **more)

    def text(self, name, value):
        self._add("string", name, value, writable=False)

    def command(self, name, does):
        self._add("command", name, does)


class Entry:
    """An entry of an enumeration."""

    def __init__(self, number, name):
        self.number, self.name = number, name


class Pointer:
    """A pointer: to nothing where the node is of another kind, and then every call fails."""

    kinds: tuple[str, ...] = ()

    def __init__(self, node):
        self.node = node if node is not None and (not self.kinds or node.kind in self.kinds) else None

    @property
    def _held(self):
        if self.node is None:
            raise SpinnakerException("Pointer is not valid.", -1006)
        return self.node

    def ToString(self):
        return str(self._held.value)


class CValuePtr(Pointer):
    pass


class Number(Pointer):
    def GetValue(self, verify=False, ignore_cache=False):
        if ignore_cache:
            self._held.owner.device.check()
        return self._held.value

    def GetMin(self):
        return self._held.bounds()[0]

    def GetMax(self):
        return self._held.bounds()[1]

    def SetValue(self, value):
        # The library's wrapper takes no whole number for a real one, nor the reverse.
        if isinstance(value, bool) or not isinstance(value, self.takes):
            raise TypeError(f"in method 'SetValue', argument 2: {value!r}")
        self._held.set(value)


class CIntegerPtr(Number):
    kinds, takes = ("integer",), int

    def GetInc(self):
        return self._held.inc


class CFloatPtr(Number):
    kinds, takes = ("real",), float


class CBooleanPtr(Pointer):
    kinds = ("boolean",)

    def GetValue(self):
        return self._held.value

    def SetValue(self, value):
        if not isinstance(value, bool):
            raise TypeError(f"in method 'SetValue', argument 2: {value!r}")
        self._held.set(value)


class CEnumerationPtr(Pointer):
    kinds = ("enumeration",)

    def GetEntries(self):
        return [Entry(k, name) for k, name in enumerate(self._held.entries)]

    def GetEntryByName(self, name):
        return next((entry for entry in self.GetEntries() if entry.name == name), None)

    def SetIntValue(self, number):
        self._held.set(self._held.entries[number])


class CEnumEntryPtr:
    def __init__(self, entry):
        self.node = entry

    def GetSymbolic(self):
        return self.node.name

    def GetValue(self):
        return self.node.number


class CCommandPtr(Pointer):
    kinds = ("command",)

    def Execute(self):
        self._held.owner.device.check()
        self._held._value()


def _node_of(pointer):
    return getattr(pointer, "node", pointer)


def _readable(pointer):
    node = _node_of(pointer)
    return node is not None and getattr(node, "kind", "entry") != "command"


def add_pointers(module):
    """Give the module its pointers and the questions about nodes."""
    for pointer in (
        CValuePtr,
        CIntegerPtr,
        CFloatPtr,
        CBooleanPtr,
        CEnumerationPtr,
        CEnumEntryPtr,
        CCommandPtr,
    ):
        setattr(module, pointer.__name__, pointer)
    module.intfIInteger = "integer"
    module.IsAvailable = lambda pointer: _node_of(pointer) is not None
    module.IsReadable = _readable
    module.IsWritable = lambda pointer: _node_of(pointer) is not None and _node_of(pointer).writable
