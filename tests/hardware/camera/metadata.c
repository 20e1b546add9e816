/* What the virtual camera of libcamera 0.4 leaves unset in each buffer: that its frame is whole,
   which one it is, and when it began. Preloaded, this comes between that camera and libcamera's
   own completeBuffer, and writes what every other pipeline writes.
   Source: libcamera 0.4, include/libcamera/framebuffer.h (FrameMetadata), pipeline_handler.cpp. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct frame_metadata {
    int status; /* 0: success */
    unsigned int sequence;
    uint64_t timestamp; /* ns */
};

/* FrameBuffer::metadata() const, and PipelineHandler::completeBuffer(Request *, FrameBuffer *). */
#define METADATA "_ZNK9libcamera11FrameBuffer8metadataEv"
#define COMPLETE "_ZN9libcamera15PipelineHandler14completeBufferEPNS_7RequestEPNS_11FrameBufferE"

bool complete(void *pipeline, void *request, void *buffer) __asm__(COMPLETE);

bool complete(void *pipeline, void *request, void *buffer)
{
    static unsigned int sequence; /* the camera's own thread alone comes here */
    void *libcamera = dlopen("libcamera.so.0.4", RTLD_LAZY | RTLD_NOLOAD);
    struct frame_metadata *(*metadata)(void *) = dlsym(libcamera, METADATA);
    bool (*next)(void *, void *, void *) = dlsym(libcamera, COMPLETE);
    struct frame_metadata *said = metadata(buffer);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    said->status = 0;
    said->sequence = sequence++;
    said->timestamp = now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
    dlclose(libcamera); /* what was opened here; Python holds it */
    return next(pipeline, request, buffer);
}
