// A program's start, linked with -static -Wl,-Ttext-segment=0x7654000.
// cc: -static -Wl,-Ttext-segment=0x7654000
// run:
// run: one two 'quoted' --option=x -- -E
#include "start.h"
