import pytest

from tests.support import blank_figures as pictures
from tests.support.backends import backend_of


# Of the session, so that hypothesis may use it.
@pytest.fixture(params=["cpu", "cuda"], scope="session")
def backend(request):
    return backend_of(request.param)


@pytest.fixture(scope="session")
def cuda():
    return backend_of("cuda")


@pytest.fixture
def undrawn(request):
    """Leave pictures blank, where they are not what is tested; for a test marked `drawn` they are drawn."""
    if request.node.get_closest_marker("drawn"):
        yield
        return
    with pictures.undrawn():
        yield


def pytest_collection_modifyitems(items):
    # So that `-m cuda` runs what has to do with a device, and nothing else.
    for item in items:
        parameters = getattr(item, "callspec", None)
        halves = parameters.params if parameters is not None else {}
        if "cuda" in item.fixturenames or halves.get("backend") == "cuda":
            item.add_marker(pytest.mark.cuda)
