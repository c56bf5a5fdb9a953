"""Tools about the installer: is it healthy, what fails, which commit did it, who was told, are the data whole."""
