package com.comsol.model;

/**
 * What the twin's export uses of COMSOL's interface to Java: the shapes of the calls, nothing behind them.
 * Names of the nested types are this file's own; the compiler meets them only as results.
 */
public interface Model {
  Param param();
  Components component();
  Component component(String tag);
  Studies study();
  Study study(String tag);
  Results result();
  void baseSystem(String name);
  void save(String path);

  interface Param { void set(String name, String expression, String description); }

  interface Components { Component create(String tag, boolean current); }

  interface Component {
    Geometries geom();
    Geometry geom(String tag);
    Meshes mesh();
    Mesh mesh(String tag);
    Functions func();
    Feature func(String tag);
    Selections selection();
    Feature selection(String tag);
    Operators cpl();
    Feature cpl(String tag);
    Variables variable();
    Variable variable(String tag);
    PhysicsList physics();
    Physics physics(String tag);
  }

  interface Geometries { Geometry create(String tag, int dimension); }
  interface Geometry { void run(); }
  interface Meshes { Mesh create(String tag); }
  interface Mesh { Feature create(String tag, String type); Feature feature(String tag); void run(); }
  interface Functions { Feature create(String tag, String type); }
  interface Selections { Feature create(String tag, String type); }
  interface Operators { Feature create(String tag, String type); }
  interface Variables { Variable create(String tag); }

  interface Variable {
    Selection selection();
    void set(String name, String expression, String description);
  }

  interface Feature {
    void set(String name, String value);
    void set(String name, int value);
    void set(String name, double value);
    void set(String name, boolean value);
    void set(String name, String[] value);
    void set(String name, double[] value);
    void set(String name, int[] value);
    void set(String name, String[][] value);
    void setIndex(String name, String value, int index);
    void setIndex(String name, double value, int index);
    void setIndex(String name, String[] value, int index);
    void setIndex(String name, double[] value, int index);
    void setIndex(String name, String value, int row, int column);
    Selection selection();
    void importData();
    void run();
  }

  interface Selection {
    void geom(String tag, int dimension);
    void named(String tag);
    void set(int... entities);
  }

  interface PhysicsList { Physics create(String tag, String type, String geometry); }

  interface Physics {
    Field field(String name);
    Feature feature(String tag);
    Feature create(String tag, String type, int dimension);
  }

  interface Field { void component(String[] names); }
  interface Studies { Study create(String tag); }
  interface Study { Feature create(String tag, String type); Feature feature(String tag); void run(); }

  interface Results {
    Datasets dataset();
    Feature dataset(String tag);
    Exports export();
    Feature export(String tag);
  }

  interface Datasets { Feature create(String tag, String type); }
  interface Exports { Feature create(String tag, String type); }
}
