"""A machine that is not there: Xen's memory, laid out as one real build lays it out, and the logic that moves it."""
