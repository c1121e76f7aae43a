/* Frames of the dialect p2p. */
#include "tests/fuzz/support/fuzz.h"
#include "tests/fuzz/support/sockets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return sockets_fuzz(&dialect_p2p, data, size);
}
