/* What CMix-NN takes from CMSIS-DSP 1: types, and instructions as the compiler's intrinsics. */
#ifndef ARM_MATH_H
#define ARM_MATH_H

#include <arm_acle.h>
#include <stdint.h>
#include <string.h>

typedef int8_t q7_t;
typedef int16_t q15_t;
typedef int32_t q31_t;
typedef enum { ARM_MATH_SUCCESS = 0, ARM_MATH_SIZE_MISMATCH = -3 } arm_status;

#define ARM_MATH_DSP 1
#define __STATIC_INLINE static inline
#define __SIMD32(pointer) (*(int32_t **)&(pointer))
#define __UXTB16(x) __uxtb16(x)
#define __SSUB16(x, y) __ssub16(x, y)
#define __SMLAD(x, y, sum) __smlad(x, y, sum)
#define __USAT(x, bits) __usat(x, bits)

static inline uint32_t __ROR(uint32_t x, uint32_t n)
{
    return x >> n | x << (32 - n);
}

#endif
