"""What a folder of images is made of: the names of its files, the numbers in them, one image file."""
