"""How much each caller may do: limits by plan on the picture endpoints, and the count of what was used."""
