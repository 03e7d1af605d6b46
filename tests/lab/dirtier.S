/* The whole of a lab guest: a boot sector that changes one word in CHUNK pages of memory, then waits for the next
 * tick of the BIOS timer (18.2 a second), for ever. A guest with a real and known dirty rate that costs the machine
 * next to nothing. It also counts its ticks at HEARTBEAT: the count goes on over a live migration, stands still while
 * the guest is paused, and starts again from 0 when it is booted anew.
 *
 * Assembled for each guest with --defsym: FIRST and LIMIT (bounds of the dirtied memory, bytes), CHUNK (pages per
 * tick; 0 = dirty nothing), FLAT_OUT (1 = never wait for the timer).
 */
        .set    HEARTBEAT, 0x7e00
        .code16
        .globl  _start
_start:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        movl    $0, HEARTBEAT
        inb     $0x92, %al              /* memory above 1 MiB: address line 20 on */
        orb     $2, %al
        outb    %al, $0x92
        lgdtw   table_pointer           /* a trip to protected mode gives %fs a limit of 4 GiB, */
        movl    %cr0, %eax              /* which it keeps in real mode, where the BIOS timer works */
        orb     $1, %al
        movl    %eax, %cr0
        movw    $8, %bx
        movw    %bx, %fs
        andb    $0xfe, %al
        movl    %eax, %cr0
        sti
        movl    $FIRST, %edi
tick:
        movl    $CHUNK, %ecx
        jecxz   wait
page:
        addr32 incl %fs:(%edi)
        addl    $4096, %edi
        cmpl    $LIMIT, %edi
        jb      inside
        movl    $FIRST, %edi
inside:
        decl    %ecx
        jnz     page
wait:
        incl    HEARTBEAT
        .if FLAT_OUT == 0
        hlt
        .endif
        jmp     tick

        .align  8
table:
        .quad   0
        .quad   0x00cf92000000ffff      /* data, base 0, limit 4 GiB */
table_pointer:
        .word   . - table - 1
        .long   0x7c00 + table - _start

        .org    510
        .word   0xaa55
