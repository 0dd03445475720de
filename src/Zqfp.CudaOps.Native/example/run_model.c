/*
 * A program that is not .NET runs a model with the operators of the domain zqfp.
 *
 *   cc -O2 run_model.c -o run_model -ldl
 *   ./run_model libonnxruntime.so.1 zqfp_ops.so model.onnx rows columns
 *
 * Feeds the float input "x" of shape [rows, columns] with 0, 1/8, 2/8, .. 7/8, 0, .. and prints the float output "y", one number
 * a line. With onnxruntime_c_api.h at hand, the three lines that matter are CreateSessionOptions, RegisterCustomOpsLibrary_V2 and
 * CreateSession; this example calls them by their place in the OrtApi table, to need no header.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    GET_ERROR_MESSAGE = 2, CREATE_ENV = 3, CREATE_SESSION = 7, RUN = 9, CREATE_SESSION_OPTIONS = 10,
    CREATE_TENSOR_WITH_DATA = 49, GET_TENSOR_DATA = 51, GET_ELEMENT_COUNT = 64, GET_TYPE_AND_SHAPE = 65, CREATE_CPU_MEMORY_INFO = 69,
    RELEASE_ENV = 92, RELEASE_MEMORY_INFO = 94, RELEASE_SESSION = 95, RELEASE_VALUE = 96, RELEASE_TYPE_AND_SHAPE = 99,
    RELEASE_SESSION_OPTIONS = 100, REGISTER_CUSTOM_OPS_LIBRARY_V2 = 228
};

typedef void* status;
static void** api;

static void check(status failed)
{
    if (failed) {
        fprintf(stderr, "%s\n", ((const char* (*)(status))api[GET_ERROR_MESSAGE])(failed));
        exit(1);
    }
}

static void release(int slot, void* object) { ((void (*)(void*))api[slot])(object); }

int main(int count, char** arguments)
{
    if (count != 6) {
        fprintf(stderr, "usage: run_model ONNXRUNTIME OPERATORS MODEL ROWS COLUMNS\n");
        return 2;
    }
    void* library = dlopen(arguments[1], RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    void** base = ((void** (*)(void))dlsym(library, "OrtGetApiBase"))();
    api = ((void** (*)(uint32_t))base[0])(23);

    void *environment, *options, *session, *operators, *memory, *x, *y = NULL, *info;
    check(((status (*)(int, const char*, void**))api[CREATE_ENV])(3, "example", &environment));
    check(((status (*)(void**))api[CREATE_SESSION_OPTIONS])(&options));
    check(((status (*)(void*, const char*, void**))api[REGISTER_CUSTOM_OPS_LIBRARY_V2])(options, arguments[2], &operators));
    check(((status (*)(void*, const char*, void*, void**))api[CREATE_SESSION])(environment, arguments[3], options, &session));

    int64_t shape[2] = { atoll(arguments[4]), atoll(arguments[5]) };
    size_t elements = (size_t)(shape[0] * shape[1]);
    float* values = malloc(elements * sizeof(float));
    for (size_t i = 0; i < elements; i++) {
        values[i] = (float)(i % 8) / 8;
    }
    check(((status (*)(int, int, void**))api[CREATE_CPU_MEMORY_INFO])(0, 0, &memory));
    check(((status (*)(void*, void*, size_t, const int64_t*, size_t, int, void**))api[CREATE_TENSOR_WITH_DATA])(
        memory, values, elements * sizeof(float), shape, 2, 1, &x));

    const char *input = "x", *output = "y";
    check(((status (*)(void*, void*, const char**, void**, size_t, const char**, size_t, void**))api[RUN])(
        session, NULL, &input, &x, 1, &output, 1, &y));

    float* results;
    size_t length;
    check(((status (*)(void*, void**))api[GET_TENSOR_DATA])(y, (void**)&results));
    check(((status (*)(void*, void**))api[GET_TYPE_AND_SHAPE])(y, &info));
    check(((status (*)(void*, size_t*))api[GET_ELEMENT_COUNT])(info, &length));
    for (size_t i = 0; i < length; i++) {
        printf("%.9g\n", results[i]);
    }

    release(RELEASE_TYPE_AND_SHAPE, info);
    release(RELEASE_VALUE, y);
    release(RELEASE_VALUE, x);
    release(RELEASE_MEMORY_INFO, memory);
    release(RELEASE_SESSION, session);
    release(RELEASE_SESSION_OPTIONS, options);
    release(RELEASE_ENV, environment);
    free(values);
    return 0;
}
