"""TIFF in all its kinds: plain pages, ImageJ, OME, Micro-Manager.

`page_list` checks the list of pages before anything follows it, `page` decodes one page, `planes` knows the
axes, `calibration` and `ome_xml` the heights and the pixel size; `reader` puts them together.
"""
