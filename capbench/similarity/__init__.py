"""Exact comparison of many vectors: who stands above whom, who is nearest, who looks alike. Arrays in, arrays out."""
