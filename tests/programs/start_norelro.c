// A program's start, linked with -static -Wl,-z,norelro -Wl,--build-id=none.
// cc: -static -Wl,-z,norelro -Wl,--build-id=none
// run:
// run: one two 'quoted' --option=x -- -E
#include "start.h"
