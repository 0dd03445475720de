using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>The steps of one layer on the device. H is there from the first step that needs it to the end of the layer.</summary>
internal sealed unsafe class DeviceLayerSteps(CudaLayerDevice device, Hessian? hessian, Workers workers) : ILayerSteps
{
    private DeviceMatrix? _hessian;

    /// <summary>The device.</summary>
    public CudaLayerDevice Device => device;

    /// <summary>Who does what stays on the processor.</summary>
    public Workers Workers => workers;

    /// <summary>H on the device.</summary>
    public DeviceMatrix Hessian
    {
        get
        {
            if (_hessian is null)
            {
                _hessian = device.Matrix(hessian!.Size, hessian.Size);
                _hessian.Upload(hessian.Data, hessian.Stride, device.Stream);
            }

            return _hessian;
        }
    }

    public IHessianFactor? TryFactor(int[]? order, bool[] dead, double damping)
    {
        device.Context.MakeCurrent();
        workers.Cancellation.ThrowIfCancellationRequested();
        return DeviceHessianFactor.TryCreate(this, hessian!.Size, order, dead, damping);
    }

    public IErrorProducts Errors(ReadOnlyMemory<float> weights, QuantizedMatrix quantized, LowRankFactors? lowRank)
    {
        device.Context.MakeCurrent();
        workers.Cancellation.ThrowIfCancellationRequested();
        return new DeviceErrors(this, weights, quantized, lowRank);
    }

    public void Dispose()
    {
        device.Context.MakeCurrent();
        _hessian?.Dispose();
    }
}
