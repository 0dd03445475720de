using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>
/// Owns one object of the library, and keeps alive the objects it was built on: a session's environment, operators and
/// borrowed weights are released only after the session, whatever the order of disposal.
/// </summary>
internal sealed unsafe class OrtHandle : SafeHandle
{
    private readonly int _releaseSlot;
    private readonly SafeHandle[] _foundations;

    /// <param name="api">The library.</param>
    /// <param name="releaseSlot">The function that releases the object.</param>
    /// <param name="instance">The object, now owned.</param>
    /// <param name="foundations">What must outlive it.</param>
    public OrtHandle(OrtApi api, int releaseSlot, void* instance, params SafeHandle[] foundations)
        : base(0, ownsHandle: true)
    {
        Api = api;
        _releaseSlot = releaseSlot;
        _foundations = foundations;
        foreach (SafeHandle foundation in foundations)
        {
            bool added = false;
            foundation.DangerousAddRef(ref added);
        }
        SetHandle((nint)instance);
    }

    /// <summary>The library the object lives in.</summary>
    public OrtApi Api { get; }

    public override bool IsInvalid => handle == 0;

    /// <summary>The object; valid while this handle is referenced and not disposed.</summary>
    /// <exception cref="ObjectDisposedException">It was released.</exception>
    public void* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(IsClosed, this);
            return (void*)handle;
        }
    }

    protected override bool ReleaseHandle()
    {
        Api.Release(_releaseSlot, (void*)handle);
        foreach (SafeHandle foundation in _foundations)
        {
            foundation.DangerousRelease();
        }
        return true;
    }
}
