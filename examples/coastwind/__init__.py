"""CoastWind: a small windstorm catastrophe model of a fictional coast, built from code alone."""
