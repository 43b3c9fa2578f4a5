import json
from pathlib import Path

import numpy as np
import pytest

from lee.errors import InputError
from lee.surfaces.provenance import (
    ComputeDevice,
    DepthOfField,
    Provenance,
    RejectedFrame,
    ScanSource,
)
from lee.surfaces.surface import Surface
from tests.surfaces.test_surface import some_surface

pytestmark = pytest.mark.usefixtures("undrawn")

# "metadata" of a surface.json as lee wrote it before provenance had types; drift cut to three frames.
OLDER = json.loads(
    """{
  "parameters": {"focus": "variance", "drift": true, "reject_frames": true,
    "depth_of_field_um": 3.77778697625375, "threads": 0, "drift_every": null, "device": "cpu"},
  "device": {"kind": "cpu", "name": "avx512", "reason": "as asked"},
  "window_px": [5, 5],
  "frame_dtype": "uint8",
  "frames": 131,
  "frames_used": 130,
  "z_range_um": [-13.0, 13.0],
  "rejected_frames": [
    {"frame": 89, "z_um": 4.800000000000001, "reason": "constant frame, all pixels are 255"}],
  "drift_px": [[0.0, 0.0], [0.003, -0.004], [0.005, -0.009]],
  "instruction_set": "avx512",
  "not_measured_px": {"no focus": 0, "uncertain": 1823, "bubble": 8827, "spike": 196, "left the field": 2639},
  "stack": {"path": "demo/scan.ome.tif", "format": "OME-TIFF", "source_dtype": "uint8",
    "z_um_source": "OME PositionZ", "pixel_um_source": "OME PhysicalSize",
    "left_out": ["record 4: incomplete"]},
  "depth_of_field_source": "measured",
  "drift_trust": 0.7815,
  "synchronisation": {"method": "timestamps"},
  "made_for": "a note"
}"""
)


def older_folder(folder: Path, **changed: object) -> Path:
    """A folder whose surface.json holds what an older version wrote."""
    some_surface().save(folder)
    described = folder / "surface.json"
    whole = json.loads(described.read_text())
    whole["metadata"] = OLDER | changed
    described.write_text(json.dumps(whole))
    return folder


def test_an_older_description_is_read_into_types():
    found = Provenance.from_json(OLDER)
    assert found.focus_measure == "variance"
    assert found.depth_of_field == DepthOfField(3.77778697625375, "measured")
    assert found.device == ComputeDevice("cpu", "avx512", "as asked")
    assert found.window_px == (5, 5)
    assert (found.frames, found.frames_used, found.frame_dtype) == (131, 130, "uint8")
    assert found.z_range_um == (-13.0, 13.0)
    assert found.rejected_frames == (
        RejectedFrame(89, 4.800000000000001, "constant frame, all pixels are 255"),
    )
    np.testing.assert_array_equal(found.drift_px, OLDER["drift_px"])
    assert found.drift_agreement == 0.7815
    assert found.not_measured_px["bubble"] == 8827
    assert found.scan == ScanSource(
        "demo/scan.ome.tif", "OME-TIFF", "uint8", "OME PositionZ", "OME PhysicalSize",
        {"left_out": ["record 4: incomplete"]},
    )  # fmt: skip
    assert found.synchronisation == {"method": "timestamps"}
    assert found.notes == {"made_for": "a note"}


def test_what_is_written_again_has_the_same_keys_and_values():
    assert Provenance.from_json(OLDER).to_json() == OLDER


def test_an_older_folder_loads_and_saves_alike(tmp_path):
    surface = Surface.load(older_folder(tmp_path / "old"))
    surface.save(tmp_path / "new")
    again = json.loads((tmp_path / "new" / "surface.json").read_text())
    assert again["metadata"] == OLDER
    assert Surface.load(tmp_path / "new").provenance == surface.provenance


def test_versions_are_those_of_the_measurement_not_of_the_last_save(tmp_path):
    some_surface().save(tmp_path / "a")
    described = tmp_path / "a" / "surface.json"
    whole = json.loads(described.read_text())
    whole["versions"] = {"lee-microscopy": "0.0.1"}
    described.write_text(json.dumps(whole))
    surface = Surface.load(tmp_path / "a")
    assert surface.provenance.versions == {"lee-microscopy": "0.0.1"}
    surface.save(tmp_path / "b")
    again = json.loads((tmp_path / "b" / "surface.json").read_text())
    assert again["versions"] == {"lee-microscopy": "0.0.1"}


def test_drift_always_has_two_columns():
    assert Provenance().drift_px.shape == (0, 2)
    assert Provenance.from_json({}).drift_px.shape == (0, 2)
    with pytest.raises(ValueError, match=r"drift_px has shape \(3,\); give \(frames, 2\)"):
        Provenance(drift_px=np.zeros(3))


def test_the_drift_of_a_last_frame_alone_is_kept_as_a_note():
    """As surfaces of running scans were once described."""
    found = Provenance.from_json({"frames": 40, "drift_px": [0.5, -0.25]})
    assert found.drift_px.shape == (0, 2)
    assert found.notes == {"drift_at_end_px": [0.5, -0.25]}


def test_what_is_not_known_has_no_key():
    assert Provenance().to_json() == {}
    assert Provenance.from_json({"frames": 12}).to_json() == {"frames": 12}


def test_depth_of_field_and_device_stand_among_the_parameters_too():
    found = Provenance(
        parameters={"focus": "wavelet", "depth_of_field_um": None},
        depth_of_field=DepthOfField(3.5, "assumed"),
        device=ComputeDevice("cuda", "a card"),
    ).to_json()
    assert found["parameters"] == {"focus": "wavelet", "depth_of_field_um": 3.5, "device": "cuda"}
    assert found["depth_of_field_source"] == "assumed"


def test_provenance_cannot_be_changed():
    found = Provenance.from_json(OLDER)
    with pytest.raises(AttributeError, match="cannot assign"):
        found.frames = 3
    with pytest.raises(ValueError, match="read-only"):
        found.drift_px[0, 0] = 1
    surface = some_surface()
    with pytest.raises(TypeError, match="does not support item assignment"):
        surface.metadata["frames"] = 3


@pytest.mark.parametrize(
    "changed",
    [{"frames": "many"}, {"drift_px": "some"}, {"rejected_frames": [3]}, {"device": []}, {"z_range_um": [1]}],
)
def test_a_damaged_description_is_refused_in_one_line(tmp_path, changed):
    with pytest.raises(InputError, match=r"surface\.json cannot be read .*: reconstruct again") as caught:
        Surface.load(older_folder(tmp_path / "old", **changed))
    assert "\n" not in str(caught.value)
