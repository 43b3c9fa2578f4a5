"""Tables of any program by the names of their columns, and what is wrong in which line."""

from datetime import UTC, datetime

import numpy as np
import pytest

from lee.electrochemistry import CellData, read_cell_data
from lee.electrochemistry.write import write_cell_data
from lee.errors import InputError, LeeError


def file(tmp_path, text, name="record.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "time_s,current_a,potential_v\n0,-0.01,-0.1\n60,-0.02,-0.2\n",
        "time_s,current_ma,potential_mv\n0,-10,-100\n60,-20,-200\n",
        "Test Time / s,Voltage / V,Current / A\n0,-0.1,-0.01\n60,-0.2,-0.02\n",
        "test_time_second,voltage_volt,current_ampere\n0,-0.1,-0.01\n60,-0.2,-0.02\n",
        "Time (min);Current (mA);Voltage (V)\n0;-10;-0,1\n1;-20;-0,2\n",
        "sep=;\nt/h;I/µA;Ewe/mV\n0;-10000;-100\n0,01666666666667;-20000;-200\n",
        "cell: A3,,\n,,\ntest_time_s,current_A,voltage_V\n0,-0.01,-0.1\n60,-0.02,-0.2\n",
        "Time\tCurrent\tVoltage\ns\tmA\tV\n0\t-10\t-0.1\n60\t-20\t-0.2\n",
        "time/s,<I>/mA,<Ewe>/V\n0.0,-10,-0.1\n6.0e1,-2E1,-0.2\n",
        '"time_s","I (mA)","E (V)"\n"0","-10","-0.1"\n"60","-20","-0.2"\n\n\n',
        "Time (s),I (mA),E (V)\n00:00:00,-10,-0.1\n00:01:00,-20,-0.2\n",
        "Time (s),I (mA),E (V)\n2026-11-30 10:00:00,-10,-0.1\n2026-11-30 10:01:00,-20,-0.2\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_columns_are_found_by_name_and_turned_to_si(tmp_path, text, encoding):
    data = read_cell_data(file(tmp_path, text, encoding=encoding))
    assert data.time_s == pytest.approx([0, 60])
    assert data.current_a == pytest.approx([-0.01, -0.02])
    assert data.potential_v == pytest.approx([-0.1, -0.2])


def test_the_provenance_names_what_was_read(tmp_path):
    path = file(
        tmp_path, "Test Time / s,Voltage / V,Current / A,Unix Time / s\n5,3.7,0.1,1005\n6,3.6,0.1,1006\n"
    )
    data = read_cell_data(path)
    assert data.provenance["format"] == "Battery Data Format"
    assert data.provenance["rows"] == 2
    assert data.provenance["columns"] == {
        "time": "Test Time / s",
        "current": "Current / A",
        "potential": "Voltage / V",
        "unix": "Unix Time / s",
    }
    assert data.started == datetime.fromtimestamp(1000, tz=UTC)


def test_columns_may_be_chosen_and_given_units(tmp_path):
    path = file(tmp_path, "n,clock,I,U2\n1,0,5,1.5\n2,1,6,1.6\n")
    chosen = {"time": "clock:s", "current": "I:mA", "potential": "U2:V"}
    data = read_cell_data(path, columns=chosen)
    assert data.current_a == pytest.approx([0.005, 0.006])
    assert data.potential_v == pytest.approx([1.5, 1.6])


def test_a_current_density_needs_the_area(tmp_path):
    path = file(tmp_path, "time_s,i (mA/cm²),E (V)\n0,-80,0\n1,-80,0\n")
    with pytest.raises(InputError, match="is a current density; give the electrode's area"):
        read_cell_data(path)
    assert read_cell_data(path, electrode_area_cm2=0.5).current_a == pytest.approx([-0.04, -0.04])


def test_a_record_without_potential_says_so(tmp_path):
    data = read_cell_data(file(tmp_path, "time_s,current_a\n0,1\n1,1\n"))
    assert np.isnan(data.potential_v).all()
    assert data.notes == ("The record holds no potential.",)


def test_a_last_row_that_was_cut_off_is_ignored_and_named(tmp_path):
    data = read_cell_data(file(tmp_path, "time_s,potential_v,current_a\n0,1,1\n1,1,1\n2,1,1\n3,1"))
    assert len(data) == 3
    assert data.notes == ("The last row, in line 5, is incomplete and was ignored.",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; give a potentiostat's record"),
        ("hello\n", "no line names columns of time and current"),
        (
            "time_s,current,voltage_v\n0,1,1\n1,1,1\n",
            r"line 1: the column 'current' \(current\) states no unit",
        ),
        (
            "time,current_a\n0,1\n1,1\n",
            r"line 1: the column 'time' \(time\) states no unit; .*--column time=time:s",
        ),
        ("time_s,voltage_v\n0,1\n1,1\n", "line 1: no column of current among time_s, voltage_v"),
        ("time_s,current_a\n", "holds no row of numbers below line 1"),
        ("time_s,current_a\n0,1\n", r"holds 1 row\(s\)"),
        (
            "time_s,current_a\n0,1\n1,x\n2,1\n",
            "line 3: the column 'current_a' is 'x'; correct it to a number",
        ),
        ("time_s,current_a\n0,1\n1,\n2,1\n", "line 3: the column 'current_a' is 'empty'"),
        ("time_s,current_a\n0,1\n1,nan\n2,1\n", "line 3: the column 'current_a' is 'nan'"),
        ("time_s,current_a\n0,1\n1,inf\n2,1\n", "line 3: the column 'current_a' is 'inf'"),
        ("time_s,current_a\n0,1\n\n2,1\n1,1\n", "line 5: time runs back from 2 to 1 s"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, message):
    path = file(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        read_cell_data(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "record.csv"
    path.write_bytes(b"MZ\0\1\2\3" * 100)
    with pytest.raises(InputError, match="is no text; export it as text or CSV"):
        read_cell_data(path)
    with pytest.raises(LeeError, match="give a potentiostat's record"):
        read_cell_data(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is not a file"):
        read_cell_data(tmp_path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"current": "J"}, "there is no column 'J' for the current; the columns are time_s, current_a"),
        ({"charge": "Q"}, "column 'charge' is not known"),
        ({"current": "current_a:V"}, r"states the unit 'V'; say which it is"),
    ],
)
def test_a_column_that_is_not_there_is_named(tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        read_cell_data(file(tmp_path, "time_s,current_a\n0,1\n1,1\n"), columns=columns)


def test_what_is_written_is_read_again(tmp_path):
    data = CellData(
        [0, 1, 1, 2], [1, 1, -1, -1e-9], [0.1, 0.2, -0.1, 0], started=datetime(2026, 11, 30, tzinfo=UTC)
    )
    path = tmp_path / "record.bdf.csv"
    write_cell_data(path, data)
    again = read_cell_data(path)
    assert again.time_s == pytest.approx(data.time_s)
    assert again.current_a == pytest.approx(data.current_a)
    assert again.potential_v == pytest.approx(data.potential_v)
    assert again.started == data.started
    with pytest.raises(InputError, match="exists"):
        write_cell_data(path, data)
