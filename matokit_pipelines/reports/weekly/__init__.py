"""The weekly operations summary for the development team."""
