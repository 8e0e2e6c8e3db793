"""Lessons: posted interrupts learnt by typing vtdpi's own commands, each step held against the machine itself.

A lesson is a file in `lessons/`. Whatever it says of the machine's state stands beside lines of `expect` that hold
then, so no sentence can be wrong of the machine that it is told of.
"""
