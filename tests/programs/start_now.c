// A program's start, linked with -pie -Wl,-z,now -Wl,-z,relro.
// cc: -pie -Wl,-z,now -Wl,-z,relro
// run:
// run: one two 'quoted' --option=x -- -E
#include "start.h"
