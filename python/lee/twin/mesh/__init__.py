"""The mesh: columns of hexahedra over the surface, and how they move with it."""
