// A program's start, linked with -static -Wl,-z,execstack.
// cc: -static -Wl,-z,execstack
// run:
// run: one two 'quoted' --option=x -- -E
#include "start.h"
