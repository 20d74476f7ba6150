"""Rubrics: what a judge is asked, how its answers are read, and what numbers are made of them. All of it is data."""

from capbench.rubrics.files import load, shipped
from capbench.rubrics.model import Rubric, Step

__all__ = ["Rubric", "Step", "load", "shipped"]
