"""One parser for each CalcJob: find, read, attach, judge."""
