// A program's start, linked with -static -Wl,-z,noseparate-code.
// cc: -static -Wl,-z,noseparate-code
// run:
// run: one two 'quoted' --option=x -- -E
#include "start.h"
