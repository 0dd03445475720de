// The stages in flight between the copies of a producer and the warps that multiply. STAGES, and StageBytes, are the kernel's.
#pragma once

struct Ring
{
    u32 stages, full, empty;
    int slot;
    u32 parity;
    DEVICE u32 stage() const { return stages + slot * StageBytes; }
    DEVICE u32 full_barrier() const { return full + slot * 8; }
    DEVICE u32 empty_barrier() const { return empty + slot * 8; }
    DEVICE void advance()
    {
        if (++slot == STAGES) { slot = 0; parity ^= 1; }
    }
};
