using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Sums of x x^T and t x^T on the device. Blocks of tokens are copied from where they are written, page-locked for that.</summary>
internal sealed unsafe class DeviceGramSums : IGramSums
{
    private readonly CudaLayerDevice _device;
    private readonly DeviceMatrix _sums;
    private readonly DeviceMatrix[] _beside;
    private readonly DeviceTokens256 _tokens;
    private readonly DeviceTokens256[] _besideTokens;
    private readonly CudaEvent _copied;

    public DeviceGramSums(CudaLayerDevice device, int columns, int[] beside)
    {
        _device = device;
        _sums = device.Matrix(columns, columns);
        _beside = Array.ConvertAll(beside, rows => device.Matrix(rows, columns));
        _tokens = new DeviceTokens256(device);
        _besideTokens = Array.ConvertAll(beside, _ => new DeviceTokens256(device));
        _copied = new CudaEvent(device.Context);
    }

    public void Add(TokenTiles tokens, TokenTiles[] beside, int count)
    {
        _device.Context.MakeCurrent();
        ProductOperand x = _tokens.Upload(tokens);
        ProductOperand[] others = [.. beside.Zip(_besideTokens, (from, to) => to.Upload(from))];
        _copied.Record(_device.Stream);
        int padded = _sums.Stride;
        _device.Products.Add(x, x, _sums.Address, padded, padded, padded, count, TokenTiles.Block, ProductMode.Lower);
        for (int i = 0; i < others.Length; i++)
        {
            _device.Products.Add(others[i], x, _beside[i].Address, padded, _beside[i].PaddedRows, padded, count, TokenTiles.Block);
        }

        _copied.Wait();
    }

    public void CopyTo(Hessian target)
    {
        _device.Context.MakeCurrent();
        _sums.Download(target.Data, target.Stride, _device.Stream);
    }

    public void CopyTo(int beside, CrossMoment target)
    {
        _device.Context.MakeCurrent();
        _beside[beside].Download(target.Data, target.Stride, _device.Stream);
    }

    public void Dispose()
    {
        _device.Context.MakeCurrent();
        _device.Stream.Synchronize();
        _copied.Dispose();
        _tokens.Dispose();
        Array.ForEach(_besideTokens, tokens => tokens.Dispose());
        _sums.Dispose();
        Array.ForEach(_beside, sums => sums.Dispose());
    }

    /// <summary>Room for a block of tokens on the device.</summary>
    private sealed class DeviceTokens256(CudaLayerDevice device) : IDisposable
    {
        private readonly DriverApi _driver = device.Context.Driver;
        private DeviceMemory? _memory;
        private float* _locked;

        public ProductOperand Upload(TokenTiles tokens)
        {
            nuint bytes = (nuint)tokens.Buffer.Length * sizeof(float);
            _memory ??= new DeviceMemory(device.Context, (long)bytes);
            if (_locked is null && _driver.HostRegister(tokens.Buffer.Data, bytes, 0) == 0)
            {
                _locked = tokens.Buffer.Data;
            }

            _driver.Check(
                _driver.CopyToDevice(_memory.Address, tokens.Buffer.Data, bytes, device.Stream.Handle), "Copy to the device");
            return new ProductOperand(_memory.Address, TokenTiles.Stride, (long)TokenTiles.Block * TokenTiles.Stride);
        }

        public void Dispose()
        {
            if (_locked is not null)
            {
                _driver.HostUnregister(_locked);
                _locked = null;
            }

            _memory?.Dispose();
            _memory = null;
        }
    }
}
