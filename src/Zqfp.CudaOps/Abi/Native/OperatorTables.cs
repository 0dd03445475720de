using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>The unmanaged tables of a domain's operators; outlive the domain and every session that uses it.</summary>
internal sealed unsafe class OperatorTables : SafeHandle
{
    private readonly int _count;

    public OperatorTables(OrtApi api, IReadOnlyList<OrtOperator> operators)
        : base(0, ownsHandle: true)
    {
        _count = operators.Count;
        SetHandle((nint)NativeMemory.AllocZeroed((nuint)Math.Max(_count, 1), (nuint)sizeof(NativeOperator)));
        for (int i = 0; i < _count; i++)
        {
            OperatorCallbacks.Fill(this[i], new NativeOperator.Definition(api, operators[i]));
        }
    }

    public override bool IsInvalid => handle == 0;

    public NativeOperator* this[int index] => (NativeOperator*)handle + index;

    protected override bool ReleaseHandle()
    {
        for (int i = 0; i < _count; i++)
        {
            OperatorCallbacks.Free(this[i]);
        }
        NativeMemory.Free((void*)handle);
        return true;
    }
}
