/* A very small Xen, for its DWARF: xen-syms.zst is made of it by
 * gcc -g -O1 -c -fPIC -fvisibility=hidden -fno-stack-protector -fcf-protection=none -fdebug-prefix-map=$PWD=. xen-syms.c -o xen-syms.o
 * ld --build-id=sha1 -T xen-syms.lds xen-syms.o -o xen-syms */
enum kind { A, B = 7 };
struct list_head { struct list_head *next, *prev; };
typedef unsigned long u64;
struct pi_desc { u64 pir[4]; union { struct { unsigned on:1, sn:1; }; u64 control; }; };
struct domain; 
struct vcpu { int vcpu_id; enum kind kind; struct domain *domain; struct list_head list; struct { struct pi_desc pi_desc; char name[8]; } arch; _Bool run; void (*done)(struct vcpu *); };
struct domain { short domain_id; struct vcpu **vcpu; };
extern const char __note_gnu_build_id_start[];
struct vcpu idle; struct domain *domain_list = (void *)&idle; u64 idle_pg_table[512] = {1}; unsigned char posted_intr_vector = 0xf4;
int xen_major_version(void) { return 4; }
int xen_minor_version(void) { return 20; }
const char *xen_extra_version(void) { return ".9-test"; }
