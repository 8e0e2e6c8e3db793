/* A VM of KVM's with a vCPU in each state that needs no descriptor: one halts, one leaves for user space, one never
   runs, and three, one more than there are CPUs, run for ever. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define VCPUS 6
#define STAYS 1
#define NEVER_RUN 2

static const char code[] = "\xe6\x80\xf4\xeb\xfd"  /* 0: out 0x80, al: an exit to user space; then hlt */
			   "\xe6\x80\xeb\xfe"; /* 5: the same exit; then for ever */
static const int start[VCPUS] = { 0, 0, 5, 5, 5, 5 };
static pthread_barrier_t each_has_run;
static int vm;

static int made(long number)
{
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, number);
	struct kvm_sregs segments;
	struct kvm_regs registers;
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };

	memset(&registers, 0, sizeof registers);
	registers.rip = start[number];
	registers.rflags = 2;
	ioctl(vcpu, KVM_GET_SREGS, &segments);
	segments.cs.base = segments.cs.selector = 0;
	ioctl(vcpu, KVM_SET_SREGS, &segments);
	ioctl(vcpu, KVM_SET_REGS, &registers);
	ioctl(vcpu, KVM_SET_MP_STATE, &runnable);
	return vcpu;
}

static void *run(void *number)
{
	int vcpu = made((long)number);

	printf("vcpu %ld is thread %d\n", (long)number, gettid());
	fflush(stdout);
	ioctl(vcpu, KVM_RUN, 0);
	pthread_barrier_wait(&each_has_run);
	if ((long)number != STAYS)
		ioctl(vcpu, KVM_RUN, 0);
	pause();
	return NULL;
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR);
	char *ram = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region memory = { 0, 0, 0, 4096, (unsigned long)ram };
	struct kvm_irqfd irqfd = { .fd = eventfd(0, 0), .gsi = 5 };
	pthread_t thread;

	if (kvm < 0 || (vm = ioctl(kvm, KVM_CREATE_VM, 0)) < 0) {
		perror("KVM");
		return 1;
	}
	memcpy(ram, code, sizeof code);
	ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	if (ioctl(vm, KVM_CREATE_IRQCHIP, 0) || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &memory) ||
	    ioctl(vm, KVM_IRQFD, &irqfd))
		perror("KVM");
	made(NEVER_RUN);
	pthread_barrier_init(&each_has_run, NULL, VCPUS);
	for (long number = 0; number < VCPUS; number++)
		if (number != NEVER_RUN)
			pthread_create(&thread, NULL, run, (void *)number);
	pthread_barrier_wait(&each_has_run);
	printf("the VM of process %d is there\n", getpid());
	fflush(stdout);
	pause();
	return 0;
}
