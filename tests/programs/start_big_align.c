// A program's start, linked with -static -Wl,-z,max-page-size=0x200000.
// cc: -static -Wl,-z,max-page-size=0x200000
// run:
// run: one two 'quoted' --option=x -- -E
#include "start.h"
