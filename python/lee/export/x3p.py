"""Height maps for metrology programs: X3P, the container of ISO 25178-72 (formerly ISO 5436-2)."""

import hashlib
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np

from lee.export.exporter import Exporter, ExportOptions, Holds

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface

_M_PER_UM = 1e-6
_POINTS = "bindata/data.bin"
_MAIN = """<?xml version="1.0" encoding="UTF-8"?>
<p:ISO5436_2 xmlns:p="http://www.opengps.eu/2008/ISO5436_2" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://www.opengps.eu/2008/ISO5436_2 http://www.opengps.eu/2008/ISO5436_2/ISO5436_2.xsd">
  <Record1>
    <Revision>ISO5436 - 2000</Revision>
    <FeatureType>SUR</FeatureType>
    <Axes>
      <CX><AxisType>I</AxisType><DataType>D</DataType><Increment>{step}</Increment><Offset>0</Offset></CX>
      <CY><AxisType>I</AxisType><DataType>D</DataType><Increment>{step}</Increment><Offset>0</Offset></CY>
      <CZ><AxisType>A</AxisType><DataType>F</DataType><Increment>1</Increment><Offset>0</Offset></CZ>
    </Axes>
  </Record1>
  <Record2>
    <Date>{date}</Date>
    <Creator>lee</Creator>
    <Instrument>
      <Manufacturer>not stated</Manufacturer>
      <Model>{model}</Model>
      <Serial>not stated</Serial>
      <Version>not stated</Version>
    </Instrument>
    <CalibrationDate>{date}</CalibrationDate>
    <ProbingSystem>
      <Type>NonContacting</Type>
      <Identification>focus variation</Identification>
    </ProbingSystem>
    <Comment>{comment}</Comment>
  </Record2>
  <Record3>
    <MatrixDimension><SizeX>{columns}</SizeX><SizeY>{rows}</SizeY><SizeZ>1</SizeZ></MatrixDimension>
    <DataLink>
      <PointDataLink>{points}</PointDataLink>
      <MD5ChecksumPointData>{md5}</MD5ChecksumPointData>
    </DataLink>
  </Record3>
  <Record4>
    <ChecksumFile>md5checksum.hex</ChecksumFile>
  </Record4>
</p:ISO5436_2>
"""


class X3pExporter(Exporter):
    """X3P, a ZIP archive of a description in XML and the heights."""

    suffix = ".x3p"
    holds: Holds = "height map"
    summary = "ISO 25178-72 in metres for metrology programs: every pixel, NaN where not measured"

    def write(self, surface: "Surface", path: Path, options: ExportOptions) -> None:
        """Write every pixel's height in metres as float32, the image's top row first, NaN where not measured.

        The comment inside states whether the heights are filled.
        """
        height_um = surface.height_filled_um if options.filled else surface.height_um
        points = (height_um.astype(np.float64) * _M_PER_UM).astype("<f4").tobytes()
        rows, columns = surface.shape
        gaps = "gaps filled" if options.filled else "NaN is not measured"
        main = _MAIN.format(
            step=repr(surface.pixel_um * _M_PER_UM),
            date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            model=escape(str(surface.provenance.notes.get("instrument", "microscope"))),
            comment=f"height grows toward the objective; {gaps}",
            columns=columns,
            rows=rows,
            points=_POINTS,
            md5=_md5(points),
        ).encode()
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("main.xml", main)
            archive.writestr(_POINTS, points)
            archive.writestr("md5checksum.hex", f"{_md5(main)} *main.xml\n")


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
