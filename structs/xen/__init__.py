"""Layouts of Xen's own structures, as data: one profile a build, in the Intermediate Symbol Format of volatility3."""
