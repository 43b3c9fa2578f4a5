// Opens the folder of a surface that `lee reconstruct` wrote: height, standard deviation and image, in µm.
// Fiji: Plugins > Macros > Run..., or drop this file on its window and press Run.
folder = getArgument();
if (folder == "") folder = getDirectory("The folder that lee reconstruct wrote");
if (!endsWith(folder, "/") && !endsWith(folder, File.separator)) folder = folder + File.separator;
if (!File.exists(folder + "height_um.tif"))
    exit("This folder holds no height_um.tif: choose one that lee reconstruct wrote.");
show("height_um.tif", "mpl-viridis", "Ice");
show("height_sigma_um.tif", "mpl-magma", "Fire");
if (File.exists(folder + "refocused.tif")) open(folder + "refocused.tif");

function show(name, colours, others) {
    open(folder + name);
    found = getList("LUTs");
    for (k = 0; k < found.length; k++) if (found[k] == colours) others = colours;
    run(others);
    // NaN, not measured, takes no part in the range and is drawn in the lowest colour.
    run("Enhance Contrast", "saturated=1");
    getPixelSize(unit, width, height);
    if (width == 1) print(name + " states no pixel size");
}
