"""A rig opened from its file: the keys it may hold, and the messages for those it may not."""

import sys

import pytest

import lee.devices
from lee.devices import open_camera, open_rig, open_stage
from lee.devices.aravis.driver import AravisDriver
from lee.devices.config import load_config
from lee.devices.registry import camera_drivers
from lee.devices.scan_plan import ScanPlan
from lee.devices.virtual.hardware.camera import VirtualCamera
from lee.devices.virtual.hardware.stage import VirtualStage
from lee.errors import InputError, MissingDependency

SMALLEST = '[camera]\ndriver = "virtual"\n[stage]\ndriver = "virtual"\n'
SMALL = {"camera": {"driver": "virtual", "sensor_px": [32, 48]}, "stage": {"driver": "virtual"}}


def with_keys(**sections):
    return {name: {**held, **sections.get(name, {})} for name, held in SMALL.items()}


def test_the_smallest_file_opens_a_virtual_rig(tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text(SMALLEST)
    config = load_config(path)
    assert config.camera.settings.exposure_s == 0.003
    assert config.camera.settings.region is None
    assert config.stage.counts_per_um == 2008.64563
    rig = open_rig(path)
    assert isinstance(rig.camera, VirtualCamera)
    assert isinstance(rig.stage, VirtualStage)
    rig.close()
    assert load_config(config) is config


def test_every_key_reaches_its_device():
    rig = open_rig(
        with_keys(
            camera={"exposure_s": 0.001, "pixel_format": "Mono12", "region_px": [4, 8, 16, 20], "gain_db": 2},
            stage={
                "counts_per_um": 1000.0,
                "backlash_um": 1.5,
                "lowest_um": 10,
                "highest_um": 60.0,
                "position_um": 20,
                "scene_at_um": 25,
            },
        )
    )
    assert rig.stage.counts_per_um == 1000.0
    assert rig.stage.limits_counts == (10_000, 60_000)
    assert rig.camera._settings.gain_db == 2.0
    assert rig.stage.status().position_counts == 20_000
    assert rig.stage._approach_counts == 3_000
    rig.camera.start()
    rig.stage.begin_scan(ScanPlan(25_000, 200, 5, 1000.0, 80.0, 500))
    image = rig.camera.next_frame(2.0).image
    assert image.shape == (16, 20)
    assert image.dtype == "uint16"
    assert rig.stage.end_scan(timeout_s=5.0) == 5
    with pytest.raises(InputError, match=r"10.00 µm is beyond its limits, 10.00 to 60.00 µm"):
        rig.stage.move_to(9_999)
    rig.close()


def test_a_camera_or_a_stage_alone():
    camera = open_camera(with_keys(camera={"triggered": False}))
    camera.start()
    assert camera.next_frame(1.0).image.shape == (32, 48)
    assert open_stage(SMALL).status().homed
    with pytest.raises(InputError, match=r"rig: \[camera\] .*set triggered to false"):
        open_camera(SMALL)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"section \[camera\] is missing"),
        ('[camera]\ndriver = "virtual"\n', r"section \[stage\] is missing"),
        (SMALLEST + "[laser]\n", r"unknown section \[laser\]; sections are \[camera\] and \[stage\]"),
        ('camera = "virtual"\n[stage]\n', r"camera is 'virtual'; it must be a section"),
        ("[camera]\n[stage]\n", r"\[camera\] driver is missing; it is one of virtual, aravis, spinnaker"),
        (SMALLEST.replace("virtual", "webcam", 1), r"\[camera\] driver is 'webcam'; it is one of virtual, "),
        (SMALLEST + 'model = "x"\n', r"\[stage\] model is unknown; keys are driver, port, serial, "),
        (SMALLEST + "serial = 123\n", r"\[stage\] serial is 123; it must be a text in quotes"),
        (
            SMALLEST + "highest_um = 30000\n",
            r"highest_um is 30000; it must be a number at least 0, at most 25000",
        ),
        (SMALLEST + "lowest_um = nan\n", r"lowest_um is nan; it must be a number at least 0"),
        (SMALLEST + 'lowest_um = "1 mm"\n', r"lowest_um is '1 mm'; it must be a number"),
        (SMALLEST + "lowest_um = true\n", r"lowest_um is True; it must be a number"),
        (SMALLEST + "lowest_um = 50\nhighest_um = 40\n", r"the highest must be above the lowest"),
        (SMALLEST + "lowest_um = 50\nposition_um = 40\n", r"position_um is 40; .* limits, 50 to 25000"),
        (
            SMALLEST + "counts_per_um = 0\n",
            r"counts_per_um is 0; it must be a number above 0, at most 1e\+06",
        ),
        ("[camera\n", r"is not TOML \("),
        ('[stage]\nport = "\\\\.\\COM12"\n', r"is not TOML \(.*\); put names with \\ in '\.\.\.'"),
        ('[stage]\nport = "C:\\users"\n', r"is not TOML \(.*\); put names with \\ in"),
    ],
)
def test_what_may_not_stand_in_a_file(tmp_path, text, message):
    path = tmp_path / "rig.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        open_rig(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("exposure_ms", 3, r"exposure_ms is unknown; keys are driver, serial, exposure_s, "),
        ("exposure_s", 3000, r"exposure_s is 3000; it must be a number above 0, at most 10"),
        ("exposure_s", 1e-6, r"exposure_s 1e-06 must be in"),
        ("buffers", 2.5, r"buffers is 2\.5; it must be a whole number at least 1, at most 1000"),
        ("buffers", 0, r"buffers is 0; it must be a whole number"),
        ("triggered", 1, r"triggered is 1; it must be true or false"),
        ("pixel_format", "RGB8", r"pixel_format is 'RGB8'; it is one of Mono8, Mono10, Mono12, Mono16"),
        ("region_px", [0, 0, 8], r"region_px is \[0, 0, 8\]; it must be a list of 4 whole numbers"),
        ("region_px", [0, 0, 8, "8"], r"region_px is '8'; it must be a whole number at least 0"),
        ("region_px", [0, 0, 64, 64], r"region \(0, 0, 64, 64\) leaves its sensor of \(32, 48\) px"),
        ("frames_per_s", -1, r"frames_per_s is -1; it must be a number above 0"),
        ("scene", "moon", r"scene is 'moon'; it is one of quick, optics"),
    ],
)
def test_what_may_not_stand_in_the_camera_s_section(key, value, message):
    with pytest.raises(InputError, match=message) as caught:
        open_rig(with_keys(camera={key: value}))
    assert str(caught.value).startswith("rig: [camera] ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: cannot be read \(No such file"):
        load_config(tmp_path / "none.toml")


# --- drivers ---


def test_a_driver_this_version_lacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "lee.devices.spinnaker.camera", None)
    with pytest.raises(InputError, match=r'rig: \[camera\] driver = "spinnaker" is not part of this version'):
        open_camera({**SMALL, "camera": {"driver": "spinnaker"}})


@pytest.mark.parametrize(
    ("driver", "message"), [("aravis", "install Aravis 0.8"), ("spinnaker", "own PySpin")]
)
def test_a_driver_whose_software_is_missing(monkeypatch, driver, message):
    def missing(self, stage=None):
        raise ModuleNotFoundError("No module named 'vendor'", name="vendor")

    monkeypatch.setattr(camera_drivers[driver], "open", missing)
    with pytest.raises(MissingDependency, match=f'driver = "{driver}" needs vendor; .*{message}'):
        open_camera({**SMALL, "camera": {"driver": driver}})


def test_a_driver_is_given_its_section_and_its_camera_is_set_up(monkeypatch):
    given = []

    class Camera:
        def configure(self, settings):
            given.append(settings)
            return settings

    monkeypatch.setattr(AravisDriver, "open", lambda section, stage: given.append(section) or Camera())
    rig = open_rig({**with_keys(), "camera": {"driver": "aravis", "serial": "12", "exposure_s": 0.002}})
    assert given[0].serial == "12"
    assert given[1].exposure_s == 0.002
    assert isinstance(rig.stage, VirtualStage)


@pytest.mark.parametrize(
    ("section", "driver", "key"),
    [
        ("camera", "aravis", "sensor_px"),
        ("camera", "spinnaker", "scene"),
        ("stage", "thorlabs", "scene_at_um"),
    ],
)
def test_a_driver_takes_no_key_of_another(section, driver, key):
    with pytest.raises(InputError, match=rf"rig: \[{section}\] {key} is unknown; keys are driver, "):
        load_config({**SMALL, section: {"driver": driver, key: 1}})


def test_a_thorlabs_stage_needs_a_name():
    refused = (InputError, MissingDependency)
    with pytest.raises(refused, match=r"give its port, or its serial number|pip install"):
        open_stage({**SMALL, "stage": {"driver": "thorlabs"}})


def test_the_names_of_the_package():
    assert set(dir(lee.devices)) == {"open_camera", "open_rig", "open_stage", "virtual"}
    with pytest.raises(AttributeError, match="has no attribute 'open_door'"):
        _ = lee.devices.open_door
