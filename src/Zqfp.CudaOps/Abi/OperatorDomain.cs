namespace Zqfp.CudaOps;

/// <summary>
/// The operators of one domain, registered with one loaded ONNX Runtime. Kernels call into its tables until the last session that uses
/// them is released, and nobody says when that is: it is never freed, so make one per set of operators and keep it.
/// </summary>
internal sealed unsafe class OperatorDomain
{
    private readonly OrtApi _api;
    private readonly void* _domain;

    /// <param name="api">The ONNX Runtime that will run the operators.</param>
    /// <param name="operators">The operators; a name may occur once per execution provider.</param>
    /// <param name="name">The domain.</param>
    /// <exception cref="ZqfpException">ZQFP4005: ONNX Runtime refuses an operator.</exception>
    public OperatorDomain(OrtApi api, IReadOnlyList<OrtOperator> operators, string name = OperatorNames.Domain)
    {
        _api = api;
        Name = name;
        using NativeText text = NativeText.Utf8(name);
        void* domain;
        api.Check(
            ((delegate* unmanaged[Cdecl]<byte*, void**, void*>)api[OrtSlot.CreateCustomOpDomain])(text.Pointer, &domain),
            $"making the domain '{name}'");
        foreach (OrtOperator one in operators)
        {
            api.Check(
                ((delegate* unmanaged[Cdecl]<void*, NativeOperator*, void*>)api[OrtSlot.CustomOpDomainAdd])(
                    domain, OperatorCallbacks.CreateTable(api, one)),
                $"adding the operator {name}.{one.Name}");
        }

        _domain = domain;
        KnownDomain.Announce(api, this);
    }

    /// <summary>The domain.</summary>
    public string Name { get; }

    /// <summary>Adds the operators to an <c>OrtSessionOptions*</c> of the same ONNX Runtime.</summary>
    /// <exception cref="ZqfpException">ZQFP4005: ONNX Runtime refuses; it does when they were added before.</exception>
    public void AddTo(nint sessionOptions) =>
        _api.Check(
            ((delegate* unmanaged[Cdecl]<void*, void*, void*>)_api[OrtSlot.AddCustomOpDomain])((void*)sessionOptions, _domain),
            $"adding the operators of domain '{Name}'");
}
