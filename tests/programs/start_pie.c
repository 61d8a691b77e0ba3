// A program's start, linked with -pie -fPIE.
// cc: -pie -fPIE
// run:
// run: one two 'quoted' --option=x -- -E
#include "start.h"
