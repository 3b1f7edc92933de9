/*
 * Work for a GPU through the driver's own library alone, so that no toolkit is needed:
 *
 *      work product    multiply matrices in bf16 on the tensor cores; prints TFLOP/s
 *      work copy       copy from device memory to device memory; prints GB/s
 *
 * The product is checked: of ones only, so that its sums are exact. Needs compute
 * capability 8.0. Functions and constants: CUDA driver API, PTX ISA 7.0.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned long long device_pointer;

static int (*init)(unsigned int flags);
static int (*device_get)(int *device, int index);
static int (*device_attribute)(int *value, int attribute, int device);
static int (*context_create)(void **context, unsigned int flags, int device);
static int (*module_load)(void **module, const void *image);
static int (*module_function)(void **function, void *module, const char *name);
static int (*memory_allocate)(device_pointer *pointer, size_t size);
static int (*memory_copy)(device_pointer to, device_pointer from, size_t size);
static int (*memory_read)(void *to, device_pointer from, size_t size);
static int (*synchronize)(void);
static int (*launch)(void *function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                     unsigned int block_x, unsigned int block_y, unsigned int block_z,
                     unsigned int shared, void *stream, void **parameters, void **extra);

#define MULTIPROCESSORS 16 /* CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT */
#define THREADS         256u
#define WARPS           (THREADS / 32)
#define STEPS           200000u
#define COPY_SIZE       ((size_t)1 << 30)
#define COPIES          50

/* Each warp adds A (16 x 16, ones) times B (16 x 8, ones) to its sums, count times. */
static const char kernel[] =
        ".version 7.0\n"
        ".target sm_80\n"
        ".address_size 64\n"
        ".visible .entry product(.param .u64 out, .param .u32 count)\n"
        "{\n"
        ".reg .pred %p<2>;\n"
        ".reg .b32 %r<8>;\n"
        ".reg .f32 %f<4>;\n"
        ".reg .b64 %rd<5>;\n"
        "ld.param.u64 %rd1, [out];\n"
        "ld.param.u32 %r1, [count];\n"
        "mov.b32 %r2, 0x3F803F80;\n"
        "mov.f32 %f0, 0f00000000;\n"
        "mov.f32 %f1, 0f00000000;\n"
        "mov.f32 %f2, 0f00000000;\n"
        "mov.f32 %f3, 0f00000000;\n"
        "LOOP:\n"
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f0,%f1,%f2,%f3}, "
        "{%r2,%r2,%r2,%r2}, {%r2,%r2}, {%f0,%f1,%f2,%f3};\n"
        "add.s32 %r1, %r1, -1;\n"
        "setp.ne.s32 %p1, %r1, 0;\n"
        "@%p1 bra LOOP;\n"
        "mov.u32 %r3, %ctaid.x;\n"
        "mov.u32 %r4, %ntid.x;\n"
        "mov.u32 %r5, %tid.x;\n"
        "mad.lo.s32 %r6, %r3, %r4, %r5;\n"
        "cvta.to.global.u64 %rd2, %rd1;\n"
        "mul.wide.u32 %rd3, %r6, 4;\n"
        "add.s64 %rd4, %rd2, %rd3;\n"
        "st.global.f32 [%rd4], %f0;\n"
        "ret;\n"
        "}\n";

static void check(int result, const char *what)
{
        if (result == 0)
                return;
        fprintf(stderr, "%s: CUDA error %d\n", what, result);
        exit(1);
}

static void load_library(void)
{
        const struct {
                const char *name;
                void *slot;
        } symbols[] = {
                { "cuInit", &init },
                { "cuDeviceGet", &device_get },
                { "cuDeviceGetAttribute", &device_attribute },
                { "cuCtxCreate_v2", &context_create },
                { "cuModuleLoadData", &module_load },
                { "cuModuleGetFunction", &module_function },
                { "cuMemAlloc_v2", &memory_allocate },
                { "cuMemcpyDtoD_v2", &memory_copy },
                { "cuMemcpyDtoH_v2", &memory_read },
                { "cuCtxSynchronize", &synchronize },
                { "cuLaunchKernel", &launch },
        };
        void *library = dlopen("libcuda.so.1", RTLD_NOW);

        if (!library) {
                fprintf(stderr, "%s\n", dlerror());
                exit(1);
        }
        for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++) {
                void *symbol = dlsym(library, symbols[i].name);

                if (!symbol) {
                        fprintf(stderr, "%s\n", dlerror());
                        exit(1);
                }
                memcpy(symbols[i].slot, &symbol, sizeof(symbol));
        }
}

static double now(void)
{
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void product(int device)
{
        unsigned int count = STEPS, blocks;
        device_pointer sums;
        void *module, *function, *parameters[] = { &sums, &count };
        float first;
        double start;
        int processors;

        check(device_attribute(&processors, MULTIPROCESSORS, device), "cuDeviceGetAttribute");
        blocks = (unsigned int)processors * 4;
        check(module_load(&module, kernel), "cuModuleLoadData");
        check(module_function(&function, module, "product"), "cuModuleGetFunction");
        check(memory_allocate(&sums, (size_t)blocks * THREADS * sizeof(float)), "cuMemAlloc");
        for (int i = 0; i < 2; i++) { /* the first one wakes the GPU up */
                start = now();
                check(launch(function, blocks, 1, 1, THREADS, 1, 1, 0, NULL, parameters, NULL),
                      "cuLaunchKernel");
                check(synchronize(), "cuCtxSynchronize");
        }
        start = now() - start;
        check(memory_read(&first, sums, sizeof(first)), "cuMemcpyDtoH");
        if (first != 16.0f * STEPS) {
                fprintf(stderr, "the product is wrong: %f\n", (double)first);
                exit(1);
        }
        printf("%.2f\n", 2.0 * 16 * 8 * 16 * WARPS * blocks * STEPS / start / 1e12);
}

static void copy(void)
{
        device_pointer from, to;
        double start = 0;

        check(memory_allocate(&from, COPY_SIZE), "cuMemAlloc");
        check(memory_allocate(&to, COPY_SIZE), "cuMemAlloc");
        for (int i = -2; i < COPIES; i++) {
                if (i == 0) {
                        check(synchronize(), "cuCtxSynchronize");
                        start = now();
                }
                check(memory_copy(to, from, COPY_SIZE), "cuMemcpyDtoD");
        }
        check(synchronize(), "cuCtxSynchronize");
        /* Each byte is read and written. */
        printf("%.2f\n", 2.0 * (double)COPY_SIZE * COPIES / (now() - start) / 1e9);
}

int main(int argc, char **argv)
{
        void *context;
        int device;

        if (argc != 2 || (strcmp(argv[1], "product") != 0 && strcmp(argv[1], "copy") != 0)) {
                fprintf(stderr, "usage: work product|copy\n");
                return 2;
        }
        load_library();
        check(init(0), "cuInit");
        check(device_get(&device, 0), "cuDeviceGet");
        check(context_create(&context, 0, device), "cuCtxCreate");
        if (strcmp(argv[1], "product") == 0)
                product(device);
        else
                copy();
        return 0;
}
