"""METEOR 1.5 for English: the aligner and the score in Python, and the reference program as oracle.

Source: Denkowski and Lavie 2014, "Meteor Universal"; the behaviour is that of ``meteor-1.5.jar``.
"""
