"""Install trees: taken in from ISO images, directories and mirrors, with the sums of all their files."""
