// A program's start, linked with -no-pie.
// cc: -no-pie
// run:
// run: one two 'quoted' --option=x -- -E
#include "start.h"
