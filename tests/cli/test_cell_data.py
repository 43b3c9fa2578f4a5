"""`lee cell-data`, and the options that lay a record under a run."""

import pandas as pd
import pytest

from lee.cli import run as lee_cli


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "log.csv"
    rows = [f"{k},{-8 if k < 60 else 6},{-0.1 if k < 60 else 0.1}" for k in range(120)]
    path.write_text("\n".join(["time_s,I/mA,E/V", *rows]) + "\n")
    return path


def test_it_says_what_a_record_holds_and_writes_it(record, tmp_path, capsys):
    out = tmp_path / "log.bdf.csv"
    assert lee_cli(["cell-data", str(record), "-o", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].endswith("table, 120 rows, 0 to 119 s")
    assert printed[1].startswith("current -0.008 to 0.006 A, charge 0.3")
    assert printed[1].endswith("1 edge")
    assert printed[2] == "potential -0.1 to 0.1 V"
    assert list(pd.read_csv(out).columns) == ["Test Time / s", "Voltage / V", "Current / A"]
    assert lee_cli(["cell-data", str(record), "-o", str(out)]) == 1
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.csv"], 1, "give a potentiostat's record"),
        (["{log}", "--column", "I:mA"], 2, "give time, current or potential"),
        (["{log}", "--column", "current=J:mA"], 1, "there is no column 'J'"),
        (["{log}", "--electrode-area-cm2", "-1"], 2, "-1 is no quantity: give a number above 0"),
        (["{log}", "--electrode-area-cm2", "1+-x"], 2, "is no quantity"),
    ],
)
def test_faults_are_one_line(record, arguments, code, message, capsys):
    assert lee_cli(["cell-data", *(text.format(log=record) for text in arguments)]) == code
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1
