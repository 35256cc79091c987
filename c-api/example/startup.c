/* From reset to main. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern uint32_t _stack_start, _data_load, _data_start, _data_end, _bss_start, _bss_end;

void initialise_monitor_handles(void);
int main(void);

/* Coprocessor Access Control Register. */
#define CPACR (*(volatile uint32_t *)0xE000ED88)

__attribute__((noreturn)) void reset(void)
{
#ifdef __ARM_FP
    CPACR |= 0xFu << 20; /* the FPU */
    __asm volatile("dsb\n isb");
#endif
    memcpy(&_data_start, &_data_load, (size_t)((char *)&_data_end - (char *)&_data_start));
    memset(&_bss_start, 0, (size_t)((char *)&_bss_end - (char *)&_bss_start));
    initialise_monitor_handles();
    exit(main());
}

static void fault(void)
{
    _Exit(2);
}

__attribute__((section(".vectors"), used)) static const struct {
    const void *stack;
    void (*handlers[15])(void);
} vectors = {&_stack_start, {reset, fault, fault, fault, fault, fault}};

/* newlib's exit calls them; there are no constructors. */
void _init(void) {}
void _fini(void) {}
