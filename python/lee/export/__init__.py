"""One writer a format: a surface as a textured mesh or as a height map for metrology programs."""
