// A program's start, linked with -static-pie.
// cc: -static-pie
// run:
// run: one two 'quoted' --option=x -- -E
#include "start.h"
