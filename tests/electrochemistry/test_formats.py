"""Formats of potentiostats, on files that are laid out as their programs write them."""

import sys
from datetime import datetime
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from lee.electrochemistry import read_cell_data
from lee.errors import InputError, MissingDependency

MPT_HEADER = """EC-Lab ASCII FILE
Nb header lines : 9

Chronopotentiometry
Acquisition started on : 11/30/2026 10:15:30.500
Device : SP-300 (SN 0001)
Electrode surface area : {area} cm²

mode\tox/red\tNs\ttime/s\tcontrol/mA\t<Ewe>/V\tI/mA\tdQ/C\t(Q-Qo)/C
"""
MPT_ROWS = "1\t0\t0\t{0}\t-40\t-0.12\t-40.01\t0\t0\n1\t0\t0\t{1}\t-40\t-0.13\t-39.99\t0\t-0.04\n"
DTA = """EXPLAIN
TAG\tCHRONOP
DATE\tLABEL\t{date}\tDate
TIME\tLABEL\t10:15:30\tTime
PSTAT\tPSTAT\tIFC1010\tPotentiostat
AREA\tQUANT\t1.13000E+000\tElectrode &Area (cm^2)
OCVCURVE\tTABLE\t1
\tPt\tT\tVf\tVm\tAch\tOver
\t#\ts\tV vs. Ref.\tV\tV\tbits
\t0\t0.5\t1.0\t1.0\t0\t...........
CURVE1\tTABLE\t2
\tPt\tT\tVf\tIm\tOver
\t#\ts\tV vs. Ref.\tA\tbits
\t0\t1\t-1.2E-001\t-4.0E-002\t...........
\t1\t2\t-1.3E-001\t-4.0E-002\t...........
CURVE2\tTABLE\t3
\tPt\tT\tVf\tIm\tOver
\t#\ts\tV vs. Ref.\tA\tbits
\t0\t3\t1.0E-001\t3.0E-002\t...........
\t1\t4\t1.0E-001\t3.0E-002\t...........
EXPERIMENTABORTED\tTOGGLE\tT\tExperiment Aborted
"""
CHI = """Nov. 30, 2026   10:15:30
{technique}
File: c:\\data\\plating.bin
Data Source: Experiment
Instrument Model:  CHI660E
Header:
Note:

{settings}

{columns}

{rows}
"""


def written(tmp_path, name, text, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(("encoding", "comma"), [("cp1252", False), ("utf-8", False), ("cp1252", True)])
def test_ec_lab_text(tmp_path, encoding, comma):
    text = MPT_HEADER.format(area="1.130") + MPT_ROWS.format("3.0E+000", "4.0E+000")
    if comma:
        text = text.replace("1.130", "1,130").replace("0.12", "0,12").replace("0.13", "0,13")
        text = (
            text.replace("40.01", "40,01")
            .replace("39.99", "39,99")
            .replace("0E+", "0E+")
            .replace("3.0E", "3,0E")
        )
    data = read_cell_data(written(tmp_path, "plating.mpt", text, encoding))
    assert data.provenance["format"] == "EC-Lab text"
    assert data.provenance["instrument"] == "SP-300 (SN 0001)"
    assert data.time_s.tolist() == [3, 4]
    assert data.current_a == pytest.approx([-0.04001, -0.03999])
    assert data.potential_v == pytest.approx([-0.12, -0.13])
    assert data.started == datetime(2026, 11, 30, 10, 15, 30, 500000)
    assert data.electrode_area_cm2 == pytest.approx(1.13)
    assert data.cathodic_sign == -1


def test_an_area_that_nobody_entered_is_none(tmp_path):
    text = MPT_HEADER.format(area="0.001") + MPT_ROWS.format(3, 4)
    assert read_cell_data(written(tmp_path, "plating.mpt", text)).electrode_area_cm2 is None


def test_ec_lab_text_that_is_damaged_is_refused(tmp_path):
    text = MPT_HEADER.format(area="1.0") + MPT_ROWS.format(3, 4)
    with pytest.raises(InputError, match="line 2: states no length of the header that fits the file"):
        read_cell_data(written(tmp_path, "a.mpt", text.replace("lines : 9", "lines : 900")))
    with pytest.raises(InputError, match="line 10: the column 'I/mA' is 'OVL'"):
        read_cell_data(written(tmp_path, "b.mpt", text.replace("-40.01", "OVL")))
    with pytest.raises(InputError, match="line 9: no column of current among"):
        read_cell_data(written(tmp_path, "c.mpt", text.replace("I/mA", "P/W")))
    with pytest.raises(InputError, match="line 11: time runs back from 3 to 2 s"):
        read_cell_data(written(tmp_path, "d.mpt", MPT_HEADER.format(area="1") + MPT_ROWS.format(3, 2)))


def galvani_of(monkeypatch, **columns):
    """Stand in for galvani with a file of these columns."""
    module = ModuleType("galvani")
    kind = np.dtype([(name, float) for name in columns])
    data = np.array(list(zip(*columns.values(), strict=True)), dtype=kind)
    opened = SimpleNamespace(data=data, timestamp=datetime(2026, 11, 30, 10, 15))
    module.BioLogic = SimpleNamespace(MPRfile=lambda path: opened)
    monkeypatch.setitem(sys.modules, "galvani", module)


def test_ec_lab_binary(tmp_path, monkeypatch):
    galvani_of(monkeypatch, **{"time/s": [1, 2, 3], "<Ewe>/V": [-0.1, -0.1, 0.1], "I/mA": [-40, -40, 30]})
    data = read_cell_data(written(tmp_path, "plating.mpr", "BIO-LOGIC MODULAR FILE\x1a"))
    assert data.current_a == pytest.approx([-0.04, -0.04, 0.03])
    assert data.started == datetime(2026, 11, 30, 10, 15)


def test_a_binary_without_current_keeps_the_charge(tmp_path, monkeypatch):
    charge = [0.0, -1.0, -2.0, -1.5]
    galvani_of(monkeypatch, **{"time/s": [0, 100, 200, 250], "Ewe/V": [0, 0, 0, 0], "(Q-Qo)/mA.h": charge})
    data = read_cell_data(written(tmp_path, "gcpl.mpr", "BIO-LOGIC MODULAR FILE\x1a"))
    assert data.charge_at([100, 200, 250]) == pytest.approx([-3.6, -7.2, -5.4])
    assert data.current_a[[0, -1]] == pytest.approx([-0.036, 0.036])
    assert "is the change of the charge" in data.notes[0]


def test_a_binary_needs_galvani_and_says_so(tmp_path, monkeypatch):
    path = written(tmp_path, "plating.mpr", "BIO-LOGIC MODULAR FILE\x1a")
    monkeypatch.setitem(sys.modules, "galvani", None)
    with pytest.raises(MissingDependency, match=r"reading .mpr needs galvani .*; or export the file as text"):
        read_cell_data(path)

    def fail(path):
        raise NotImplementedError("Column ID 999\nafter 3")

    galvani_of(monkeypatch, **{"time/s": [0.0]})
    sys.modules["galvani"].BioLogic.MPRfile = fail
    with pytest.raises(InputError, match=r"galvani cannot read it \(Column ID 999 after 3\); export it"):
        read_cell_data(path)
    with pytest.raises(InputError, match="give a potentiostat's record"):
        read_cell_data(tmp_path / "none.mpr")


@pytest.mark.parametrize(
    ("date", "started"),
    [("11/30/2026", True), ("30.11.2026", True), ("30-11-2026", False)],
)
def test_gamry(tmp_path, date, started):
    data = read_cell_data(written(tmp_path, "plating.DTA", DTA.format(date=date), "cp1252"))
    assert data.provenance["format"] == "Gamry DTA"
    assert data.time_s.tolist() == [1, 2, 3, 4]
    assert data.current_a == pytest.approx([-0.04, -0.04, 0.03, 0.03])
    assert data.potential_v == pytest.approx([-0.12, -0.13, 0.1, 0.1])
    assert data.electrode_area_cm2 == pytest.approx(1.13)
    assert data.started == (datetime(2026, 11, 30, 10, 15, 30) if started else None)
    assert data.notes == ("The table in line 16 announces 3 rows and holds 2.",)


def test_gamry_without_a_current_is_refused(tmp_path):
    text = DTA.format(date="11/30/2026")
    with pytest.raises(InputError, match="holds no table CURVE with points over time"):
        read_cell_data(written(tmp_path, "a.dta", text.replace("CURVE1", "EIS").replace("CURVE2", "EIS2")))
    with pytest.raises(InputError, match="line 12: no column of current"):
        read_cell_data(written(tmp_path, "b.dta", text.replace("Im", "Vu").replace("\tA\t", "\tV\t")))
    with pytest.raises(InputError, match="line 14: the column 'Im' is 'OVERLOAD'"):
        read_cell_data(written(tmp_path, "c.dta", text.replace("-4.0E-002", "OVERLOAD", 1)))


GALVANOSTATIC = """Cathodic Current (A) = 0.04
Anodic Current (A) = 0.03
High E Limit (V) = 0.5
High E Hold Time (s) = 0
Low E Limit (V) = {low}
Cathodic Time (s) = 5
Anodic Time (s) = 5
Init P/N = {first}
Data Storage Interval (s) = 1
Segment = 2"""


def chi(tmp_path, technique, settings, columns, rows):
    text = CHI.format(technique=technique, settings=settings, columns=columns, rows="\n".join(rows))
    return read_cell_data(written(tmp_path, "plating.txt", text))


def test_ch_instruments_applies_the_currents_of_its_header(tmp_path):
    rows = [f"{k + 0.5:.4f}, {-0.12 if k < 5 else 0.1}" for k in range(10)]
    data = chi(
        tmp_path,
        "Chronopotentiometry",
        GALVANOSTATIC.format(low=-1, first="N"),
        "Time/sec, Potential/V",
        rows,
    )
    assert data.current_a == pytest.approx([-0.04] * 5 + [0.03] * 5)
    assert data.cathodic_sign == -1
    assert data.provenance["instrument"] == "CHI660E"
    assert data.started == datetime(2026, 11, 30, 10, 15, 30)
    assert "the one that the settings in its header apply" in data.notes[0]
    data = chi(
        tmp_path,
        "Chronopotentiometry",
        GALVANOSTATIC.format(low=-1, first="P"),
        "Time/sec, Potential/V",
        rows,
    )
    assert data.current_a[[0, -1]] == pytest.approx([0.03, -0.04])


def test_a_limit_of_potential_ends_a_segment_of_ch_instruments_early(tmp_path):
    rows = [f"{k + 0.5:.4f}, {-0.1 - 0.05 * k if k < 3 else 0.1}" for k in range(8)]
    data = chi(
        tmp_path,
        "Chronopotentiometry",
        GALVANOSTATIC.format(low=-0.2, first="N"),
        "Time/sec, Potential/V",
        rows,
    )
    assert data.current_a == pytest.approx([-0.04] * 3 + [0.03] * 5)


def test_ch_instruments_steps_of_current(tmp_path):
    settings = "i1 (A) = -0.04\nT1 (s) = 3\ni2 (A) = 0\nT2 (s) = 2\ni3 (A) = 0.02\nT3 (s) = 0\nCycle = 2"
    rows = [f"{k + 0.5}, 0.1" for k in range(10)]
    data = chi(tmp_path, "Multi-Current Steps", settings, "Time/sec, Potential/V", rows)
    assert data.current_a == pytest.approx(([-0.04] * 3 + [0.0] * 2) * 2)
    assert data.cathodic_sign is None


def test_ch_instruments_current_over_time(tmp_path):
    rows = ["1.000e-1, -4.0e-2", "2.000e-1, -3.9e-2"]
    data = chi(tmp_path, "Amperometric i-t Curve", "Init E (V) = -0.15", "Time/sec, Current/A", rows)
    assert data.current_a == pytest.approx([-0.04, -0.039])
    assert data.potential_v == pytest.approx([-0.15, -0.15])


def test_ch_instruments_without_a_current_is_refused(tmp_path):
    with pytest.raises(
        InputError, match="Open Circuit Potential - Time holds neither a column of current nor"
    ):
        chi(
            tmp_path,
            "Open Circuit Potential - Time",
            "Run Time (sec) = 2",
            "Time/sec, Potential/V",
            ["0, 1", "1, 1"],
        )
    with pytest.raises(InputError, match=r"Cyclic Voltammetry has no table over time"):
        chi(tmp_path, "Cyclic Voltammetry", "Init E (V) = 0", "Potential/V, Current/A", ["0, 1", "1, 1"])
    with pytest.raises(InputError, match="line 11: the table holds neither current nor potential"):
        chi(tmp_path, "Chronopotentiometry", "Segment = 2", "Time/sec, Charge/C", ["0, 1", "1, 1"])
    with pytest.raises(InputError, match="without times T1, T2"):
        chi(tmp_path, "Multi-Current Steps", "i1 (A) = -0.04", "Time/sec, Potential/V", ["0, 1", "1, 1"])
    with pytest.raises(InputError, match="line 15: the column 'Potential/V' is 'x'"):
        chi(
            tmp_path,
            "Multi-Current Steps",
            "i1 (A) = 1\nT1 (s) = 9",
            "Time/sec, Potential/V",
            ["0, 1", "1, x"],
        )
