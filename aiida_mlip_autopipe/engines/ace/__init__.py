"""ACE: linear fits on the functions of pyace, Pacemaker, and MD with both."""
