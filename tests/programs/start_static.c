// A program's start, linked with -static.
// cc: -static
// run:
// run: one two 'quoted' --option=x -- -E
#include "start.h"
