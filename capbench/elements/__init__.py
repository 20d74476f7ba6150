"""What texts say, element by element: words made comparable, references merged, matched one to one, and scored."""
