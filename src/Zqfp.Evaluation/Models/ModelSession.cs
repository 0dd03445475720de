using System.Runtime.InteropServices;
using Zqfp.CudaOps;
using Zqfp.OnnxRewriter;

namespace Zqfp.Evaluation;

/// <summary>A model or a slice of one, ready to run. Weights stay where they are: in the mapped file, or in memory.</summary>
internal sealed class ModelSession : IDisposable
{
    private readonly OnnxFile? _file;

    private ModelSession(OrtSession session, OnnxFile? file)
    {
        Session = session;
        _file = file;
    }

    /// <summary>The session.</summary>
    public OrtSession Session { get; }

    /// <summary>Opens a model file; one that computes in bfloat16 computes in float32 here, because the CPU has no kernels for it.</summary>
    public static ModelSession Open(OrtEnvironment environment, OrtOperatorDomain operators, ModelFacts model, OrtSessionOptions options)
    {
        if (!model.UsesBfloat16)
        {
            return new ModelSession(OrtSession.Create(environment, model.Path, options.AddOperatorDomain(operators)), null);
        }

        OnnxFile file = OnnxFile.Open(model.Path);
        try
        {
            SliceModel whole = new ModelRewriter(file, new GraphIndex(file.Graph, file.Path)).Whole();
            return new ModelSession(Create(environment, operators, whole, options), file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Opens a slice, whose file must stay open as long.</summary>
    public static ModelSession Open(OrtEnvironment environment, OrtOperatorDomain operators, SliceModel slice, OrtSessionOptions options) =>
        new(Create(environment, operators, slice, options), null);

    public void Dispose()
    {
        Session.Dispose();
        _file?.Dispose();
    }

    private static OrtSession Create(OrtEnvironment environment, OrtOperatorDomain operators, SliceModel model, OrtSessionOptions options)
    {
        options.AddOperatorDomain(operators);
        OrtValue[] weights = [.. model.Weights.Values.Select(data => Wrap(environment, data))];
        options.AddExternalInitializers([.. model.Weights.Keys], weights);
        try
        {
            return OrtSession.Create(environment, model.ToBytes(), options);
        }
        finally
        {
            Array.ForEach(weights, weight => weight.Dispose());
        }
    }

    private static OrtValue Wrap(OrtEnvironment environment, TensorData data) => data.Address is { } address
        ? OrtValue.FromMemory(environment, address, data.ByteLength, (OrtElementType)data.Type, [.. data.Dims])
        : OrtValue.FromMemory(environment, MemoryMarshal.AsMemory(data.Slice(0, checked((int)data.ByteLength))), (OrtElementType)data.Type, [.. data.Dims]);
}
